// Rows of the route table about who belongs to the fleet: tokens that people make, and builders and seeders
// that join with them.
import { tokenBytesMax } from "@shoal/core/limits";
import { z } from "zod";
import * as plane from "./control-plane.ts";
import { count, name } from "./names.ts";
import { row } from "./row.ts";

export const tokens = {
  create: row({
    method: "POST",
    path: "/tokens",
    summary: "Makes a token for a person; shown once.",
    body: plane.tokenInput,
    answer: plane.secret,
    status: 201,
  }),
  revokePerson: row({
    method: "POST",
    path: "/tokens/revoke",
    summary: "Ends all tokens of a person.",
    body: z.strictObject({ name }),
    answer: z.strictObject({ revoked: count }),
  }),
  createJoin: row({
    method: "POST",
    path: "/join-tokens",
    summary: "Makes a token that lets hosts, builders or seeders join a region; shown once.",
    body: plane.joinTokenInput,
    answer: plane.secret,
    status: 201,
  }),
};

export const members = {
  join: row({
    role: "any",
    method: "POST",
    path: "/members/join",
    summary: "A passport for a builder or seeder that brings a join token and proves its key.",
    body: z.strictObject({ request: z.string().max(tokenBytesMax) }),
    bodyBytesMax: 2 * tokenBytesMax,
    answer: plane.memberPassport,
  }),
  renew: row({
    role: "member",
    method: "POST",
    path: "/members/passport",
    summary: "The next passport of a builder or seeder, with the same facts.",
    answer: plane.memberPassport,
  }),
};
