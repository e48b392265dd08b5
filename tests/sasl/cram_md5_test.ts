import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { cramMd5 } from "../../src/sasl/cram_md5.ts";
import { test } from "../support/unwatched.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const CHALLENGE = bytes("<1896.697170952@postoffice.reston.mci.net>");

test("cramMd5() answers as the example of RFC 2195, section 2", async () => {
  const mechanism = cramMd5({ user: "tim", pass: "tanstaaftanstaaf" });
  assertEquals([mechanism.name, mechanism.initialResponse], ["CRAM-MD5", undefined]);
  assertEquals(
    new TextDecoder().decode(await mechanism.respond(CHALLENGE)),
    "tim b913a602c7eda7a495b4e6e7334d3890",
  );
  await mechanism.finish?.();
});

test("cramMd5() takes keys longer than a block and text beyond ASCII", async () => {
  const mechanism = cramMd5({ user: "jürgen", pass: "\x2a".repeat(80) });
  const response = await mechanism.respond(bytes("Test Using Larger Than Block-Size Key - Hash Key First"));
  // Made with Python: hmac.new(b"*" * 80, msg, "md5").hexdigest()
  assertEquals(new TextDecoder().decode(response), "jürgen d59253f5da821964201c221ab73b73a6");
});

test("cramMd5() answers one challenge only", async () => {
  const mechanism = cramMd5({ user: "tim", pass: "x" });
  await mechanism.respond(CHALLENGE);
  await assertRejects(() => Promise.resolve(mechanism.respond(CHALLENGE)), Error, "second challenge");
});

test("cramMd5() does not believe a server that asks nothing", () => {
  assertThrows(() => cramMd5({ user: "tim", pass: "x" }).finish?.(), Error, "without a challenge");
});
