/** Where a controller keeps its state, as `--state` says it. */
import { isIP } from 'node:net';

export type Place =
  | { readonly kind: 'sqlite'; readonly path: string }
  /** URLs of the members of one cluster. */
  | { readonly kind: 'etcd'; readonly hosts: readonly string[] };

export const PLACE_RULE =
  'the path of a SQLite file, or `etcd:https://HOST:2379,…` with the members of an etcd cluster; `http:` for this machine only';

const MOST_HOSTS = 16;

/** Undefined: it is none. */
export function parsePlace(text: string): Place | undefined {
  if (!text.startsWith('etcd:')) return text === '' ? undefined : { kind: 'sqlite', path: text };
  const hosts = text.slice('etcd:'.length).split(',');
  return hosts.length <= MOST_HOSTS && hosts.every(isMember) ? { kind: 'etcd', hosts } : undefined;
}

/** In the clear, whoever is on the way could write into the state. */
function isMember(text: string): boolean {
  const match = /^(https?):\/\/(?:\[([0-9a-f:.]+)\]|([A-Za-z0-9.-]+)):([1-9][0-9]{0,4})$/.exec(text);
  const [, scheme, six, name = '', port] = match ?? [];
  if (!match || Number(port) > 65535 || (six !== undefined && isIP(six) !== 6)) return false;
  return scheme === 'https' || six === '::1' || name === 'localhost' || isLoopback(name);
}

function isLoopback(name: string): boolean {
  return isIP(name) === 4 && name.startsWith('127.');
}

/** Whether it goes over TLS. */
export function isSecure(place: Place): boolean {
  return place.kind === 'etcd' && place.hosts.some((host) => host.startsWith('https:'));
}
