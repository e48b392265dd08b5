import { assertEquals, assertThrows } from "@std/assert";
import { login } from "../../src/sasl/login.ts";
import { test } from "../support/unwatched.ts";

const encode = (text: string) => new TextEncoder().encode(text);

test("login() waits to be asked for the name and the password", () => {
  const mechanism = login({ user: "jürgen", pass: "pässwörd" });
  assertEquals([mechanism.name, mechanism.initialResponse], ["LOGIN", undefined]);
  assertEquals(mechanism.respond(encode("Username:")), encode("jürgen"));
  assertEquals(mechanism.respond(encode("Password:")), encode("pässwörd"));
});

test("login() does not look at what the challenges say", () => {
  const mechanism = login({ user: "a", pass: "b" });
  assertEquals(mechanism.respond(new Uint8Array()), encode("a"));
  assertEquals(mechanism.respond(encode("User Name\0")), encode("b"));
});

test("login() has no answer to a third challenge", () => {
  const mechanism = login({ user: "a", pass: "b" });
  mechanism.respond(new Uint8Array());
  mechanism.respond(new Uint8Array());
  assertThrows(() => mechanism.respond(new Uint8Array()), Error, "third challenge");
});
