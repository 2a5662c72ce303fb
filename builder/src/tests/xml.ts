// Reads XML that a build left, as a stream: strict, no entities but XML's own five, no document type
// with declarations of its own, bounded in depth. Nobody's text gets further than to those who listen.
import { ShoalError } from "@shoal/core/error";
import { testReportElementsDeepMax } from "@shoal/core/limits";
import { SaxesParser } from "saxes";

export interface XmlReader {
  /** `above` names the elements around this one, the root first. */
  open(name: string, attributes: Readonly<Record<string, string>>, above: readonly string[]): void;
  text(text: string): void;
  close(name: string): void;
}

export interface XmlStream {
  /** Throws `report_invalid`. */
  write(text: string): void;
  end(): void;
}

/** Tells the reader what is in a document that comes in parts. */
export function openXml(reader: XmlReader): XmlStream {
  const parser = new SaxesParser({ xmlns: false, position: true });
  const above: string[] = [];
  parser.on("doctype", (text) => {
    if (text.includes("[")) throw invalid("its document type has declarations of its own");
  });
  parser.on("opentag", ({ name, attributes }) => {
    if (above.length >= testReportElementsDeepMax) throw invalid("its elements nest too deeply");
    reader.open(name, attributes, above);
    above.push(name);
  });
  parser.on("text", (text) => reader.text(text));
  parser.on("cdata", (text) => reader.text(text));
  parser.on("closetag", ({ name }) => {
    above.pop();
    reader.close(name);
  });
  const strictly = (step: () => void): void => {
    try {
      step();
    } catch (error) {
      throw error instanceof ShoalError ? error : invalid((error as Error).message);
    }
  };
  return {
    write: (text) => strictly(() => void parser.write(text)),
    end: () => strictly(() => void parser.close()),
  };
}

/** A report that can't be read: it is named, and the others count. */
export function invalid(why: string): ShoalError {
  return new ShoalError("report_invalid", why, { blame: "remote" });
}
