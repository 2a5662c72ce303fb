// libp2p logs every frame and every step to a logger that is off; each call still costs, and so does each
// logger made for a connection or a stream. What matters is logged by links.
import type { ComponentLogger, Logger } from "@libp2p/interface";

const nothing = (): void => undefined;

const silent: Logger = Object.assign((): void => undefined, {
  error: nothing,
  trace: nothing,
  enabled: false,
  newScope: () => silent,
});

export const silentLogger: ComponentLogger = { forComponent: () => silent };
