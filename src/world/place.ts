/**
 * Where a world's things are on its host: every name that `up` makes and `down` looks for. All namespaces of world W
 * begin with `W.`, and a world's name has no dot in it.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const WORLDS = '/run/cabernet/worlds';
export const NETNS = '/run/netns';
export const BPF_FS = '/sys/fs/bpf';
const PINS = `${BPF_FS}/cabernet`;

export function worldDirectory(world: string): string {
  return join(WORLDS, world);
}

export function statePath(world: string): string {
  return join(worldDirectory(world), 'state.json');
}

export function socketPath(world: string, machine: string): string {
  return join(worldDirectory(world), `${machine}.sock`);
}

export function logPath(world: string, machine: string): string {
  return join(worldDirectory(world), `${machine}.log`);
}

/** A hosts file for whoever is in this network; an empty name: the machines' own. */
export function hostsPath(world: string, network: string): string {
  return join(worldDirectory(world), network === '' ? 'hosts' : `hosts.${network}`);
}

export function pinDirectory(world: string, machine: string): string {
  // the BPF file system allows no dots
  return join(PINS, `${world}:${machine}`);
}

export function namespacePrefix(world: string): string {
  return `${world}.`;
}

export function machineNamespace(world: string, machine: string): string {
  return `${world}.${machine}`;
}

/** What the agent puts before `VN.NODE`. */
export function nodeNamespacePrefix(world: string, machine: string): string {
  return `${world}.${machine}.`;
}

export function nodeNamespace(world: string, machine: string, network: string, node: string): string {
  return `${nodeNamespacePrefix(world, machine)}${network}.${node}`;
}

export function stationNamespace(world: string, network: string, station: string): string {
  return `${world}.station.${network}.${station}`;
}

export function namespacePath(namespace: string): string {
  return join(NETNS, namespace);
}

/** The directory of this package: compiled or not, the one above with its package.json. */
export function packageRoot(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, 'package.json'))) {
    const above = dirname(directory);
    if (above === directory) throw new Error('there is no package.json above this file');
    directory = above;
  }
  return directory;
}

/** All pin directories of a world: their parent and the prefix of their names. */
export function pinsOf(world: string): { parent: string; prefix: string } {
  return { parent: PINS, prefix: `${world}:` };
}

/** Where the providers' controllers run. No machine's name begins with a dot. */
export function officeNamespace(world: string): string {
  return `${world}..office`;
}

/** Where wires have their middles. No machine's name begins with a dot. */
export function wiresNamespace(world: string): string {
  return `${world}..wires`;
}

/** Of the process that holds frames back there. */
export function wiresSocketPath(world: string): string {
  return join(worldDirectory(world), '.wires.sock');
}

export function wiresLogPath(world: string): string {
  return join(worldDirectory(world), '.wires.log');
}

/** In a machine's place, where the wires' middles have their pins. No machine's name begins with a hyphen. */
export const WIRES_PINS = '-wires';

export function wiresPinDirectory(world: string): string {
  return pinDirectory(world, WIRES_PINS);
}

/** For the time of a removal; no machine's name begins with a dot. */
export function sentinelNamespace(world: string): string {
  return `${world}..removal`;
}
