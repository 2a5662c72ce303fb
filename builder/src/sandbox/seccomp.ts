// The system-call filter of a build, as the classic BPF program that bubblewrap installs. It allows by
// default and refuses what a build has no use for and what has been a way out of sandboxes: new
// namespaces, mounts, tracing, kernel modules, keyrings, io_uring, BPF, and sockets of families that
// no network namespace confines (vsock, packet, alg …). A filter by default-deny would break real
// build tools with every new kernel; the namespaces are the wall, this is the second one.
//
// Numbers: Linux, include/uapi/asm-generic/unistd.h and arch/x86/entry/syscalls/syscall_64.tbl.
// Instruction format: Linux, include/uapi/linux/{filter,seccomp}.h.

export type SeccompArch = "x64" | "arm64";

/** Name, number on x64, number on arm64. */
const refusedCalls: readonly (readonly [string, number, number])[] = [
  ["ptrace", 101, 117],
  ["process_vm_readv", 310, 270],
  ["process_vm_writev", 311, 271],
  ["kcmp", 312, 272],
  ["pidfd_getfd", 438, 438],
  ["mount", 165, 40],
  ["umount2", 166, 39],
  ["pivot_root", 155, 41],
  ["chroot", 161, 51],
  ["open_tree", 428, 428],
  ["move_mount", 429, 429],
  ["fsopen", 430, 430],
  ["fsconfig", 431, 431],
  ["fsmount", 432, 432],
  ["fspick", 433, 433],
  ["mount_setattr", 442, 442],
  ["unshare", 272, 97],
  ["setns", 308, 268],
  ["open_by_handle_at", 304, 265],
  ["init_module", 175, 105],
  ["finit_module", 313, 273],
  ["delete_module", 176, 106],
  ["kexec_load", 246, 104],
  ["kexec_file_load", 320, 294],
  ["bpf", 321, 280],
  ["perf_event_open", 298, 241],
  ["userfaultfd", 323, 282],
  ["io_uring_setup", 425, 425],
  ["io_uring_enter", 426, 426],
  ["io_uring_register", 427, 427],
  ["add_key", 248, 217],
  ["request_key", 249, 218],
  ["keyctl", 250, 219],
  ["swapon", 167, 224],
  ["swapoff", 168, 225],
  ["reboot", 169, 142],
  ["sethostname", 170, 161],
  ["setdomainname", 171, 162],
  ["acct", 163, 89],
  ["settimeofday", 164, 170],
  ["clock_settime", 227, 112],
  ["quotactl", 179, 60],
  ["quotactl_fd", 443, 443],
  ["vhangup", 153, 58],
  ["syslog", 103, 116],
  ["lookup_dcookie", 212, 18],
  ["fanotify_init", 300, 262],
];

const audit = { x64: 0xc000003e, arm64: 0xc00000b7 } as const;
const calls = {
  x64: { clone: 56, clone3: 435, socket: 41, ioctl: 16 },
  arm64: { clone: 220, clone3: 435, socket: 198, ioctl: 29 },
} as const;

/** CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET}: `clone` takes its flags as first argument on both. */
const newNamespaceFlags = 0x7e02_0000;
/** AF_UNIX, AF_INET, AF_INET6, AF_NETLINK: what a network namespace confines. */
const socketFamilies = [1, 2, 10, 16] as const;
/** TIOCSTI and TIOCLINUX put text into a terminal's input. */
const refusedIoctls = [0x5412, 0x541c] as const;
/** System calls from here on are x32's on x64. */
const x32Bit = 0x4000_0000;

const errno = { EPERM: 1, ENOSYS: 38, EAFNOSUPPORT: 97 } as const;
const killProcess = 0x8000_0000;
const allow = 0x7fff_0000;
const refuse = (error: number): number => 0x0005_0000 | error;

const load = 0x20; // BPF_LD | BPF_W | BPF_ABS
const ifEqual = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const ifAtLeast = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const ifAnyBit = 0x45; // BPF_JMP | BPF_JSET | BPF_K
const answer = 0x06; // BPF_RET | BPF_K

/** Offsets in struct seccomp_data; both architectures are little-endian, so the low half comes first. */
const offsets = { call: 0, arch: 4, argument: (index: number): number => 16 + 8 * index } as const;

type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, value: number];

/** The filter for an architecture, or null where none is written: the sandbox then says so and runs without. */
export function seccompFilter(arch: string): Uint8Array | null {
  return arch === "x64" || arch === "arm64" ? assemble(program(arch)) : null;
}

function program(arch: SeccompArch): readonly Instruction[] {
  const { clone, clone3, socket, ioctl } = calls[arch];
  return [
    [load, 0, 0, offsets.arch],
    [ifEqual, 1, 0, audit[arch]],
    [answer, 0, 0, killProcess],
    [load, 0, 0, offsets.call],
    ...(arch === "x64" ? when(ifAtLeast, x32Bit, refuse(errno.ENOSYS)) : []),
    // Its flags lie behind a pointer, where no filter sees them; libc falls back to clone on ENOSYS.
    ...when(ifEqual, clone3, refuse(errno.ENOSYS)),
    ...refusedCalls.flatMap(([, x64, arm64]) =>
      when(ifEqual, arch === "x64" ? x64 : arm64, refuse(errno.EPERM)),
    ),
    ...branch(clone, [
      [load, 0, 0, offsets.argument(0)],
      ...when(ifAnyBit, newNamespaceFlags, refuse(errno.EPERM)),
      [answer, 0, 0, allow],
    ]),
    ...branch(socket, [
      [load, 0, 0, offsets.argument(0)],
      ...socketFamilies.flatMap((family) => when(ifEqual, family, allow)),
      [answer, 0, 0, refuse(errno.EAFNOSUPPORT)],
    ]),
    ...branch(ioctl, [
      [load, 0, 0, offsets.argument(1)],
      ...refusedIoctls.flatMap((request) => when(ifEqual, request, refuse(errno.EPERM))),
      [answer, 0, 0, allow],
    ]),
    [answer, 0, 0, allow],
  ];
}

/** If the test holds, give this answer; otherwise go on. */
function when(test: number, value: number, result: number): readonly Instruction[] {
  return [
    [test, 0, 1, value],
    [answer, 0, 0, result],
  ];
}

/** Runs `body`, which ends with an answer, for one system call; other calls skip it. */
function branch(call: number, body: readonly Instruction[]): readonly Instruction[] {
  return [[ifEqual, 0, body.length, call], ...body];
}

function assemble(instructions: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(instructions.length * 8);
  const view = new DataView(bytes.buffer);
  for (const [index, [code, ifTrue, ifFalse, value]] of instructions.entries()) {
    view.setUint16(index * 8, code, true);
    view.setUint8(index * 8 + 2, ifTrue);
    view.setUint8(index * 8 + 3, ifFalse);
    view.setUint32(index * 8 + 4, value >>> 0, true);
  }
  return bytes;
}
