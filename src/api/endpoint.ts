/** Where to listen and where to call over TCP: `ADDRESS:PORT`, `[IPV6]:PORT`; a caller may name a host. */
import { invalidArgument } from './errors.js';
import { parseAddress } from './names.js';

export interface Endpoint {
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
}

const RIGHT = 'ADDRESS:PORT, as in 192.0.2.1:7443 or [2001:db8::1]:7443';
// RFC 1123 §2.1
const HOST = /^(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})(?:\.[A-Za-z0-9][A-Za-z0-9-]{0,62})*$/;

/**
 * `lowest`: 0 to let the kernel choose a port. `names`: whether a host's name will do.
 * @throws ApiError ADDRESS
 */
export function parseEndpoint(
  text: string,
  field: string,
  { lowest = 1, names = false }: { readonly lowest?: 0 | 1; readonly names?: boolean } = {},
): Endpoint {
  const [, six, plain = '', digits = ''] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = six ?? plain;
  const port = Number(digits);
  const sound =
    six === undefined
      ? parseAddress(plain)?.family === 4 || (names && HOST.test(plain) && !/^[\d.]+$/.test(plain))
      : parseAddress(six)?.family === 6;
  if (digits !== '' && sound && port >= lowest && port <= 65_535) return { host, port };
  throw invalidArgument({
    reason: 'ADDRESS',
    field,
    message: `${JSON.stringify(text.slice(0, 100))} is no ${RIGHT}${names ? ', or a host in place of the address' : ''}.`,
  });
}

export function formatEndpoint({ host, port }: Endpoint): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** As grpc-js wants it. */
export function grpcTarget(endpoint: Endpoint): string {
  const family = parseAddress(endpoint.host)?.family;
  return `${family === undefined ? 'dns' : `ipv${family}`}:${formatEndpoint(endpoint)}`;
}
