/**
 * A queue by rank.
 *
 * @module
 */

/** Gives back the item of the lowest rank first, in a time that hardly grows with how many there are. */
export class Heap<T> {
  readonly #items: { readonly item: T; readonly rank: number }[] = [];

  /** How many items it has. */
  get size(): number {
    return this.#items.length;
  }

  /** The item of the lowest rank. */
  peek(): T | undefined {
    return this.#items[0]?.item;
  }

  /** The lowest rank; `Infinity` if it is empty. */
  get lowest(): number {
    return this.#items[0]?.rank ?? Infinity;
  }

  /** Adds an item. */
  push(item: T, rank: number): void {
    const items = this.#items;
    const added = { item, rank };
    let place = items.push(added) - 1;
    while (place > 0) {
      const above = (place - 1) >> 1;
      if (items[above]!.rank <= rank) break;
      items[place] = items[above]!;
      place = above;
    }
    items[place] = added;
  }

  /** Takes the item of the lowest rank. */
  pop(): T | undefined {
    const items = this.#items;
    const first = items[0];
    const moved = items.pop();
    if (first === undefined || moved === undefined || items.length === 0) return first?.item;
    let place = 0;
    for (;;) {
      let below = 2 * place + 1;
      if (below >= items.length) break;
      if (below + 1 < items.length && items[below + 1]!.rank < items[below]!.rank) below++;
      if (items[below]!.rank >= moved.rank) break;
      items[place] = items[below]!;
      place = below;
    }
    items[place] = moved;
    return first.item;
  }

  /** All items, in no order. */
  *[Symbol.iterator](): IterableIterator<T> {
    for (const { item } of this.#items) yield item;
  }
}
