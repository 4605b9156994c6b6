/** Addresses of servers: `unix:/run/cabernet/one.sock`, `192.0.2.1:7200` or `[2001:db8::1]:7200`. */
import { isIP } from 'node:net';

export type Address =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

/** What is right, for error messages. */
export const ADDRESS_RULE = '`unix:/PATH`, `192.0.2.1:7200` or `[2001:db8::1]:7200`';

/** The same for a controller, which may have replicas. */
export const ADDRESSES_RULE = `${ADDRESS_RULE}, or those of its replicas with commas between them`;

const MOST_REPLICAS = 8;

/** `sun_path` of unix(7), less its end. */
const LONGEST_PATH = 107;

/** Undefined: it is none. */
export function parseAddressOfServer(text: string): Address | undefined {
  if (text.startsWith('unix:/')) {
    const path = text.slice('unix:'.length);
    // a comma is between addresses
    const plain = /^[\x21-\x2b\x2d-\x7e]+$/.test(path) && Buffer.byteLength(path) <= LONGEST_PATH;
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

/** Of the replicas of one controller: one address or several, each once. Undefined: it is neither. */
export function splitAddresses(text: string): readonly string[] | undefined {
  const all = text.split(',');
  const known = all.length <= MOST_REPLICAS && all.every((one) => parseAddressOfServer(one) !== undefined);
  return known && new Set(all).size === all.length ? all : undefined;
}
