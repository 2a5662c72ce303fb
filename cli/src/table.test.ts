import { describe, expect, test } from "vitest";
import { renderTable } from "./table.ts";
import { formatBytes, formatDuration, shortId } from "./units.ts";

describe("tables", () => {
  test("line columns up, without frames, colors or trailing spaces", () => {
    expect(
      renderTable(
        ["NAME", "STATE"],
        [
          ["greeter", "up"],
          ["a", ""],
        ],
      ),
    ).toBe("NAME     STATE\ngreeter  up\na");
  });

  test("have a head when there are no rows", () => {
    expect(renderTable(["NAME", "STATE"], [])).toBe("NAME  STATE");
  });
});

describe("quantities", () => {
  test.for([
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1.0 KiB"],
    [1024 ** 2 - 1, "1024.0 KiB"],
    [1024 ** 2, "1.0 MiB"],
    [1.5 * 1024 ** 3, "1.50 GiB"],
  ] as const)("%i bytes read %s", ([bytes, text]) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  test.for([
    [0, "0 ms"],
    [999, "999 ms"],
    [4200, "4.2 s"],
    [59_990, "60.0 s"],
    [60_000, "1 min 0 s"],
    [200_400, "3 min 20 s"],
  ] as const)("%i milliseconds read %s", ([durationMs, text]) => {
    expect(formatDuration(durationMs)).toBe(text);
  });

  test("short ids keep the beginning of a commit and the end of a CID, which begin alike", () => {
    expect(shortId("0123456789abcdef0123456789abcdef01234567")).toBe("0123456789");
    expect(shortId(`bafyr4i${"a".repeat(45)}0123456789`)).toBe("0123456789");
  });
});
