/**
 * What host and guest say to each other over a virtual serial port: one JSON text a line, many conversations at once,
 * each with a number that the host gave it.
 */

/** To the guest. */
export type Request =
  | {
      readonly id: number;
      readonly op: 'spawn';
      readonly argv: readonly string[];
      readonly env: Readonly<Record<string, string>>;
      readonly cwd: string;
    }
  | { readonly id: number; readonly op: 'kill'; readonly signal: NodeJS.Signals }
  /** To a unix socket in the guest. */
  | { readonly id: number; readonly op: 'connect'; readonly path: string }
  /** Base64: to the socket. */
  | { readonly id: number; readonly op: 'data'; readonly data: string }
  | { readonly id: number; readonly op: 'end' };

/** From the guest. */
export type Event =
  | { readonly id: 0; readonly event: 'ready'; readonly release: string }
  | { readonly id: number; readonly event: 'started'; readonly pid: number }
  | { readonly id: number; readonly event: 'stdout' | 'stderr' | 'data'; readonly data: string }
  /** A process has ended. */
  | {
      readonly id: number;
      readonly event: 'exit';
      readonly status: number | null;
      readonly signal: string | null;
    }
  /** A socket has. */
  | { readonly id: number; readonly event: 'closed'; readonly error: string };

export function encode(message: Request | Event): string {
  return `${JSON.stringify(message)}\n`;
}

/** Takes what has arrived, in any pieces; whole lines go to `take`. */
export class Lines {
  readonly #take: (line: string) => void;
  #rest: Buffer[] = [];

  constructor(take: (line: string) => void) {
    this.#take = take;
  }

  push(bytes: Buffer): void {
    let begin = 0;
    for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, begin)) {
      const line = Buffer.concat([...this.#rest, bytes.subarray(begin, at)]).toString('utf8');
      this.#rest = [];
      begin = at + 1;
      this.#take(line);
    }
    if (begin < bytes.length) this.#rest.push(Buffer.from(bytes.subarray(begin)));
  }
}
