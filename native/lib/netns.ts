// Named network namespaces, as iproute2 keeps them under /run/netns, and the kernel's settings
// (sysctl) in any namespace. No thread of the caller's ever changes its namespace.
import { readdir, statfs } from 'node:fs/promises';
import { loadAddon } from './addon.js';
import { argumentError, BpfError } from './error.js';
import { isArray } from './netlink/check.js';

interface NetnsAddon {
  netnsCreate(directory: string, path: string): Promise<void>;
  netnsDelete(path: string): Promise<void>;
  sysctl(netns: string | null, paths: readonly string[], values: readonly string[] | null): Promise<string[]>;
}

const addon = loadAddon<NetnsAddon>();

const DIRECTORY = '/run/netns';

/** The path that stands for a named namespace. `ERR_ARGUMENT` for a name that is no file name. */
export function netnsPath(name: string): string {
  const usable =
    typeof name === 'string' && name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name);
  if (!usable || Buffer.byteLength(name) > 255) {
    throw argumentError('netns', 'name', `a file name of 1 to 255 bytes, not ${JSON.stringify(name)}`);
  }
  return `${DIRECTORY}/${name}`;
}

/** Makes a named namespace, its loopback interface still down. EEXIST when the name is taken. */
export async function createNetns(name: string): Promise<void> {
  await addon.netnsCreate(DIRECTORY, netnsPath(name));
}

/**
 * Takes the name away; ENOENT when there is none. The namespace itself goes when nothing refers to it any more, its
 * interfaces a little later.
 */
export async function deleteNetns(name: string): Promise<void> {
  await addon.netnsDelete(netnsPath(name));
}

/** linux/magic.h: NSFS_MAGIC, "nsfs". */
const NSFS = 0x6e736673;

/**
 * Whether a name has a namespace. A name may be there without: whoever made it ended before the namespace was mounted
 * on it.
 */
export async function isNetns(name: string): Promise<boolean> {
  try {
    return (await statfs(netnsPath(name))).type === NSFS;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/** All names, sorted. */
export async function netnsNames(): Promise<string[]> {
  try {
    return (await readdir(DIRECTORY)).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Where a setting is meant: a namespace's path, or the process's own where absent. */
export interface SysctlPlace {
  readonly netns?: string;
}

// As in sysctl(8): the first separator decides, and the other one stands for itself, so that both
// net.ipv4.conf.eth0/1.forwarding and net/ipv4/conf/eth0.1/forwarding mean the interface eth0.1.
function settingPath(key: string, operation: string): string {
  const wanted = `a setting such as net.ipv4.ip_forward, not ${JSON.stringify(key)}`;
  if (typeof key !== 'string' || key.includes('\0')) throw argumentError(operation, 'key', wanted);
  const first = /[./]/.exec(key)?.[0];
  const swap: Readonly<Record<string, string>> = { '.': '/', '/': '.' };
  const path = first === '.' ? key.replaceAll(/[./]/g, (separator) => swap[separator] ?? separator) : key;
  const parts = path.split('/');
  if (parts.some((part) => part === '' || part === '.' || part === '..')) {
    throw argumentError(operation, 'key', wanted);
  }
  return `/proc/sys/${path}`;
}

function placeOf(place: SysctlPlace, operation: string): string | null {
  if (typeof place !== 'object' || place === null) throw argumentError(operation, 'place', 'an object');
  return place.netns ?? null;
}

/** Writes settings in order; the error of the first that fails has in `completed` how many were written. */
export async function setSysctls(
  place: SysctlPlace,
  settings: Readonly<Record<string, string | number>>,
): Promise<void> {
  const operation = 'sysctl.set';
  const keys = Object.keys(settings);
  await addon.sysctl(
    placeOf(place, operation),
    keys.map((key) => settingPath(key, operation)),
    keys.map((key) => String(settings[key])),
  );
}

/** Writes one setting, 'net.ipv4.ip_forward' or 'net/ipv4/ip_forward'. ENOENT when the kernel has none of this name. */
export async function setSysctl(place: SysctlPlace, key: string, value: string | number): Promise<void> {
  await setSysctls(place, { [key]: value });
}

/** What the settings are, in the order of the keys, without the final line feed. */
export async function getSysctls(place: SysctlPlace, keys: readonly string[]): Promise<string[]> {
  const operation = 'sysctl.get';
  if (!isArray(keys)) throw argumentError(operation, 'keys', 'an array of settings');
  return addon.sysctl(
    placeOf(place, operation),
    keys.map((key) => settingPath(key, operation)),
    null,
  );
}

export async function getSysctl(place: SysctlPlace, key: string): Promise<string> {
  const [value] = await getSysctls(place, [key]);
  if (value !== undefined) return value;
  throw new BpfError({
    code: 'ERR_NOT_FOUND',
    operation: 'sysctl.get',
    subject: key,
    detail: 'no such setting',
  });
}
