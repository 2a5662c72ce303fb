// Rows of the route table about whom to believe: for people, and for seeders, who carry it on.
import { trustStateBytesMax } from "@shoal/core/limits";
import { z } from "zod";
import { row } from "./row.ts";
import * as seeder from "./seeder.ts";
import * as trust from "./trust.ts";

export const trustRoutes = {
  get: row({
    method: "GET",
    path: "/trust",
    summary: "The newest trust document, with those that lead to it.",
    answer: trust.trustAnswer,
    answerBytesMax: trustStateBytesMax,
  }),
  publish: row({
    method: "POST",
    path: "/trust",
    summary: "Gives everybody a newer trust document; the root's signature alone lets it pass.",
    body: trust.trustInput,
    bodyBytesMax: trustStateBytesMax,
    answer: trust.trustAnswer,
    answerBytesMax: trustStateBytesMax,
  }),
  revoke: row({
    method: "POST",
    path: "/revocations",
    summary: "Shuts a host or seeder out for good, by its peer id.",
    body: trust.revocationInput,
    answer: trust.revocation,
    status: 201,
  }),
  revocations: row({
    method: "GET",
    path: "/revocations",
    summary: "Who is shut out.",
    answer: z.strictObject({ items: z.array(trust.revocation) }),
  }),
};

export const seederTrustRoutes = {
  state: row({
    role: "seeder",
    method: "GET",
    path: "/seeder/trust",
    summary: "Trust documents and revocations, to keep and to hand on.",
    answer: trust.trustState,
    answerBytesMax: trustStateBytesMax,
  }),
  joinTokens: row({
    role: "seeder",
    method: "GET",
    path: "/seeder/join-tokens",
    summary: "The region's join tokens, to let hosts in while the control plane is down.",
    answer: seeder.joinTokens,
  }),
  admissions: row({
    role: "seeder",
    method: "POST",
    path: "/seeder/admissions",
    summary: "Hosts that joined while the control plane was down.",
    body: seeder.admissions,
    status: 204,
  }),
};
