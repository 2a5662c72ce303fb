// One of the two processes of kill-nine.test.ts: `main.ts seeder|builder <folder>`.
import { runBuilder, runSeeder } from "../kill-victims.ts";

const [role, folder = "."] = process.argv.slice(2);
await (role === "seeder" ? runSeeder(folder) : runBuilder(folder));
