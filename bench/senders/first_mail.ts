/**
 * What the programs that send one mail share: next to nothing, as all of it counts.
 *
 * @module
 */
import process from "node:process";

/** Reads the command line: a port. */
export function readFirstMail(): Record<"user" | "pass" | "from" | "to" | "text", string> & {
  port: number;
} {
  return {
    port: Number(process.argv[2]),
    user: "user",
    pass: "secret",
    from: "sender@example.com",
    to: "recipient@example.org",
    text: "From: <sender@example.com>\r\nTo: <recipient@example.org>\r\nSubject: Hi\r\n\r\nHello\r\n",
  };
}
