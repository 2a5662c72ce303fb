// Rows of the route table about what is set up once: projects and regions.
import { z } from "zod";
import * as plane from "./control-plane.ts";
import { name, page } from "./names.ts";
import { pageQuery, row } from "./row.ts";

export const projects = {
  create: row({
    method: "POST",
    path: "/projects",
    summary: "Creates a project.",
    body: plane.projectInput,
    answer: plane.project,
    status: 201,
  }),
  list: row({
    method: "GET",
    path: "/projects",
    summary: "Lists projects by name.",
    query: pageQuery,
    answer: page(plane.project),
  }),
  get: row({
    method: "GET",
    path: "/projects/:project",
    summary: "One project.",
    params: z.strictObject({ project: name }),
    answer: plane.project,
  }),
  update: row({
    method: "PATCH",
    path: "/projects/:project",
    summary: "Changes how a project is built from now on.",
    params: z.strictObject({ project: name }),
    body: plane.projectPatch,
    answer: plane.project,
  }),
};

export const regions = {
  create: row({
    method: "POST",
    path: "/regions",
    summary: "Creates a region.",
    body: plane.regionInput,
    answer: plane.region,
    status: 201,
  }),
  list: row({
    method: "GET",
    path: "/regions",
    summary: "Lists regions with their seeders.",
    query: pageQuery,
    answer: page(plane.region),
  }),
  update: row({
    method: "PATCH",
    path: "/regions/:region",
    summary: "Takes a region in or out of service, or makes it the home region.",
    params: z.strictObject({ region: name }),
    body: plane.regionPatch,
    answer: plane.region,
  }),
};
