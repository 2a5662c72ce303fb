import fc from "fast-check";
import { expect, test } from "vitest";
import { withDefaults } from "./config.ts";
import { LinkNumbers } from "./link-numbers.ts";
import { Links } from "./links.ts";
import { Link } from "./peers.ts";

const known = { peerId: "peer", addresses: [], zone: "", seeder: false };
const config = withDefaults({});

test("finds exactly those that are open, in the order they were opened", () => {
  fc.assert(
    // Numbers that meet at the same place, among others.
    fc.property(
      fc.array(
        fc.nat(9).map((id) => id * 8),
        { maxLength: 100 },
      ),
      (ids) => {
        const links = new Links();
        const numbers = new LinkNumbers();
        const model = new Map<number, Link>();
        for (const id of ids) {
          const old = links.get(id);
          expect(old).toBe(model.get(id));
          if (old !== undefined) {
            links.delete(old);
            numbers.give(old.place);
            model.delete(id);
          } else {
            const link = new Link(id, known, config, numbers, 0);
            links.add(link);
            model.set(id, link);
          }
          expect(links.size).toBe(model.size);
          expect(links.all).toEqual([...model.values()]);
          for (const [other, link] of model) expect(links.get(other)).toBe(link);
        }
      },
    ),
  );
});
