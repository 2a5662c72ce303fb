// `shoal control-plane|builder|seeder|agent`: run one of Shoal's processes in the foreground. Their
// flags are their own (`shoal agent --help`), so nothing of them is parsed here.
import type { Room } from "@shoal/daemon/room-main";
import type { Command } from "commander";
import type { Environment } from "../environment.ts";
import { runRoom } from "../room.ts";

const processes: readonly (readonly [command: string, room: Room, description: string])[] = [
  ["control-plane", "control-plane", "Run the control plane"],
  ["builder", "builder", "Run a builder"],
  ["seeder", "seeder", "Run a region's seeder"],
  ["agent", "host-agent", "Run the host agent"],
];

export function addProcessCommands(program: Command, environment: Environment): void {
  for (const [command, room, description] of processes) {
    program
      .command(command)
      .description(description)
      .helpOption(false)
      .allowUnknownOption()
      .allowExcessArguments()
      .argument("[flags...]", `see \`shoal ${command} --help\``)
      .passThroughOptions()
      .action(async (flags: string[]) => {
        process.exitCode = await runRoom(room, flags, environment);
      });
  }
}
