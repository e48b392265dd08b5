/**
 * The storm, with 12,500 messages, which are 50,000 on the four runtimes of the suite: `deno task faults -- --what storm` sends a
 * million.
 */
import { assertEquals } from "@std/assert";
import { Strays } from "../fuzz/strays.ts";
import { test } from "../support/unwatched.ts";
import { showFigures } from "./books.ts";
import { storm } from "./storm.ts";

for (const [transfer, messages] of [["data", 1_000], ["bdat", 11_500]] as const) {
  for (const retryUnknown of [false, true]) {
    const again = retryUnknown ? ", what is unknown again" : "";
    test(`SmtpPool loses and doubles nothing over relays that fail, by ${transfer.toUpperCase()}${again}`, async () => {
      using strays = new Strays();
      strays.listen();
      const { figures, violations, faults } = await storm({ messages: messages / 2, transfer, retryUnknown });
      console.log(showFigures(`storm by ${transfer.toUpperCase()}${again}`, figures));
      assertEquals(violations, []);
      assertEquals(strays.take(), []);
      const { wrong, lost, doubled, torn, received } = figures;
      assertEquals([wrong, lost, doubled, torn], [0, 0, 0, 0]);
      assertEquals(
        [faults > 3, received > messages / 4],
        [true, true],
        `${faults} faults, ${received} received`,
      );
    });
  }
}
