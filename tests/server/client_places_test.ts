import { assert, assertEquals } from "@std/assert";
import { ClientPlaces } from "../../src/server/client_places.ts";
import { test } from "../support/harness.ts";

for (
  const [what, one, other, same] of [
    ["two IPv4 addresses", "192.0.2.1", "192.0.2.2", false],
    ["an IPv4 address twice", "192.0.2.1", "192.0.2.1", true],
    ["two IPv6 addresses of one /64", "2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true],
    ["an IPv6 address in two spellings", "2001:0DB8::1", "2001:db8:0:0:0:0:0:1", true],
    ["a zone, and none", "fe80::1%eth0", "fe80::2", true],
    ["two IPv6 addresses of two /64", "2001:db8:1:2::1", "2001:db8:1:3::1", false],
    ["two IPv4 addresses, mapped into IPv6", "::ffff:192.0.2.1", "::ffff:192.0.2.2", false],
    ["a mapped IPv4 address, and the loopback", "::ffff:192.0.2.1", "::1", false],
  ] as const
) {
  test(`ClientPlaces takes ${what} for ${same ? "one client" : "two clients"}`, () => {
    const places = new ClientPlaces(10, 1);
    assert(places.take(one));
    assertEquals(places.take(other) === undefined, same);
  });
}

test("ClientPlaces has no more places than it was given, for all and for each client, and takes them back", () => {
  const places = new ClientPlaces(3, 2);
  const first = places.take("192.0.2.1");
  assert(first && places.take("192.0.2.1"));
  assertEquals(places.take("192.0.2.1"), undefined);
  assert(places.take(undefined));
  assertEquals(places.take("192.0.2.2"), undefined);
  assertEquals(places.take(undefined), undefined);
  first();
  assert(places.take("192.0.2.1"));
  const unix = new ClientPlaces(100, 1);
  for (let i = 0; i < 100; i++) assert(unix.take(undefined));
});
