/** Addresses of servers: `unix:/run/cabernet/one.sock`, `192.0.2.1:7200` or `[2001:db8::1]:7200`. */
import { isIP } from 'node:net';

export type Address =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

/** What is right, for error messages. */
export const ADDRESS_RULE = '`unix:/PATH`, `192.0.2.1:7200` or `[2001:db8::1]:7200`';

/** `sun_path` of unix(7), less its end. */
const LONGEST_PATH = 107;

/** Undefined: it is none. */
export function parseAddressOfServer(text: string): Address | undefined {
  if (text.startsWith('unix:/')) {
    const path = text.slice('unix:'.length);
    const plain = /^[\x21-\x7e]+$/.test(path) && Buffer.byteLength(path) <= LONGEST_PATH;
    return plain ? { kind: 'unix', path } : undefined;
  }
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):([1-9][0-9]{0,4})$/.exec(text);
  const [, six, four, digits] = match ?? [];
  const host = six ?? four ?? '';
  const port = Number(digits);
  return isIP(host) === (six === undefined ? 4 : 6) && port <= 65535
    ? { kind: 'tcp', host, port }
    : undefined;
}
