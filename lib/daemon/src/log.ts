// The log of a process: JSON lines on stderr (stdout is for the ready line). It is written
// synchronously, so that the last line before a crash is there. Secrets are redacted by name as a
// second line of defence; the first is not to log them.
import { ShoalError } from "@shoal/core/error";
import {
  type DestinationStream,
  type Logger,
  destination,
  pino,
  stdSerializers,
  stdTimeFunctions,
} from "pino";
import type { LogLevel } from "./config.ts";

export type Log = Logger;

const secretKeys = [
  "token",
  "joinToken",
  "grant",
  "passport",
  "authorization",
  "password",
  "secretKey",
];

/** A log whose lines carry the process's name and pid; errors go under the key `error`. */
export function createLog(
  processName: string,
  level: LogLevel,
  output: DestinationStream = destination({ fd: 2, sync: true }),
): Log {
  return pino(
    {
      level,
      base: { process: processName, pid: process.pid },
      timestamp: stdTimeFunctions.isoTime,
      messageKey: "message",
      errorKey: "error",
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: serializeError },
      redact: { paths: secretKeys.flatMap((key) => [key, `*.${key}`]), censor: "[secret]" },
    },
    output,
  );
}

function serializeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const plain = stdSerializers.err(error);
  if (!(error instanceof ShoalError))
    return { type: plain.type, message: plain.message, stack: plain.stack };
  const { code, blame, retryable, hint, details } = error;
  return { code, message: plain.message, blame, retryable, hint, details, stack: plain.stack };
}
