/**
 * Shared by the programs that send one mail. As small as possible, because it is measured too.
 *
 * @module
 */
import process from "node:process";

/** Makes the mail, with the port from the command line. */
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
