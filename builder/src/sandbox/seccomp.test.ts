// Runs the filter in an interpreter of classic BPF; sandbox.test.ts installs it for real.
import { expect, test } from "vitest";
import { seccompFilter } from "./seccomp.ts";

const allow = 0x7fff_0000;
const refusal = (errno: number): number => 0x0005_0000 | errno;
const machines = { x64: 0xc000_003e, arm64: 0xc000_00b7 } as const;

/** What the kernel would answer for a system call. */
function decide(
  filter: Uint8Array,
  arch: number,
  call: number,
  args: readonly number[] = [],
): number {
  const data = new DataView(new ArrayBuffer(64));
  data.setUint32(0, call, true);
  data.setUint32(4, arch, true);
  for (const [index, value] of args.entries()) data.setUint32(16 + 8 * index, value, true);
  const code = new DataView(filter.buffer);
  let accumulator = 0;
  for (let at = 0; at < filter.length / 8; at += 1) {
    const value = code.getUint32(at * 8 + 4, true);
    const jump = (holds: boolean): void => {
      at += code.getUint8(at * 8 + (holds ? 2 : 3));
    };
    switch (code.getUint16(at * 8, true)) {
      case 0x20:
        accumulator = data.getUint32(value, true);
        break;
      case 0x15:
        jump(accumulator === value);
        break;
      case 0x35:
        jump(accumulator >= value);
        break;
      case 0x45:
        jump((accumulator & value) !== 0);
        break;
      case 0x06:
        return value;
      default:
        throw new Error("an instruction that the kernel would refuse");
    }
  }
  throw new Error("the filter runs off its end");
}

function filterFor(arch: keyof typeof machines): (call: number, ...args: number[]) => number {
  const filter = seccompFilter(arch) ?? new Uint8Array();
  return (call, ...args) => decide(filter, machines[arch], call, args);
}

test("allows what programs do all day", () => {
  const x64 = filterFor("x64");
  for (const call of [0, 1, 2, 9, 57, 59, 61, 257, 332]) expect(x64(call)).toBe(allow);
  const arm64 = filterFor("arm64");
  for (const call of [56, 63, 64, 221, 222, 260]) expect(arm64(call)).toBe(allow);
});

test("allows threads and processes, not new namespaces", () => {
  for (const [arch, clone, unshare] of [
    ["x64", 56, 272],
    ["arm64", 220, 97],
  ] as const) {
    const filter = filterFor(arch);
    expect(filter(clone, 0x003d_0f00)).toBe(allow);
    expect(filter(clone, 0x1200011)).toBe(allow);
    for (const flag of [
      0x2_0000, 0x200_0000, 0x400_0000, 0x800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000,
    ]) {
      expect(filter(clone, flag | 17)).toBe(refusal(1));
    }
    expect(filter(435)).toBe(refusal(38));
    expect(filter(unshare)).toBe(refusal(1));
  }
});

test("allows sockets of families that a network namespace confines, and no others", () => {
  for (const [arch, socket] of [
    ["x64", 41],
    ["arm64", 198],
  ] as const) {
    const filter = filterFor(arch);
    for (const family of [1, 2, 10, 16]) expect(filter(socket, family)).toBe(allow);
    for (const family of [17, 38, 40, 44]) expect(filter(socket, family)).toBe(refusal(97));
  }
});

test("allows terminal settings, not terminal input", () => {
  const filter = filterFor("x64");
  expect(filter(16, 0, 0x5401)).toBe(allow);
  expect(filter(16, 0, 0x5412)).toBe(refusal(1));
  expect(filter(16, 0, 0x541c)).toBe(refusal(1));
});

test("kills calls of another architecture and knows no x32", () => {
  const filter = seccompFilter("x64") ?? new Uint8Array();
  expect(decide(filter, 0x4000_0003, 1)).toBe(0x8000_0000);
  expect(decide(filter, machines.x64, 0x4000_0000 | 101)).toBe(refusal(38));
});

test("has no filter for a machine that it doesn't know", () => {
  expect(seccompFilter("riscv64")).toBeNull();
});
