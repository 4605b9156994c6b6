/**
 * The processor time that a virtual node's daemons may take: a cgroup for each node with a share, inside that of the
 * node that carries it, so that 40 % of 60 % of a machine are 24 %. The agent puts nobody in: it says where the place
 * is. Version 1 and 2 of the kernel's interface; a node's cgroup holds others, so its processes are in a leaf of it
 * (version 2 allows them nowhere else).
 *
 *   cabernet/NAMESPACE-OF-CONN/daemons
 *   cabernet/NAMESPACE-OF-CONN/NAMESPACE-OF-IPTV/daemons
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';

const FOLDER = 'cabernet';
const LEAF = 'daemons';
const PERIOD_US = 100_000;
/** The kernel's least: a hundredth of one processor. */
const SMALLEST_QUOTA_US = 1000;
const DEEPEST = 8;

export interface NodeShare {
  /** Thousandths of the parent's, or of the machine. */
  readonly thousandths: number;
  /** The namespace of the nearest node below that has a share. */
  readonly parent: string | undefined;
}

/** Where the cpu controller is. */
export interface Hierarchy {
  readonly version: 1 | 2;
  readonly mount: string;
}

function unescape(path: string): string {
  return path.replaceAll(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** From /proc/self/mountinfo; undefined: the cpu controller is nowhere. */
export function findHierarchy(
  mountinfo: string,
  controllersOf: (mount: string) => string,
): Hierarchy | undefined {
  for (const line of mountinfo.split('\n')) {
    const [front = '', back = ''] = line.split(' - ');
    const mount = unescape(front.split(' ')[4] ?? '');
    const [kind, , options = ''] = back.split(' ');
    if (kind === 'cgroup' && options.split(',').includes('cpu')) return { version: 1, mount };
    if (kind === 'cgroup2' && controllersOf(mount).split(/\s+/).includes('cpu')) return { version: 2, mount };
  }
  return undefined;
}

export function machineHierarchy(): Hierarchy | undefined {
  return findHierarchy(readFileSync('/proc/self/mountinfo', 'utf8'), (mount) => {
    const path = join(mount, 'cgroup.controllers');
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  });
}

function isGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

export class Cgroups {
  readonly #hierarchy: Hierarchy | undefined;
  readonly #ours: RegExp;
  readonly #processors: number;
  #paths = new Map<string, string>();
  #settled = '';

  /** `prefix`: of this agent's namespaces, `PREFIX` + `VN.NODE`; those of other agents are left alone. */
  constructor(prefix: string, hierarchy = machineHierarchy(), processors = cpus().length) {
    this.#hierarchy = hierarchy;
    this.#processors = processors;
    this.#ours = new RegExp(`^${prefix.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')}[^.]+\\.[^.]+$`);
  }

  /** False: shares of processors cannot be held on this machine. */
  get available(): boolean {
    return this.#hierarchy !== undefined;
  }

  /** Where a namespace's daemons belong; undefined: it has no share. */
  leafOf(namespace: string): string | undefined {
    const path = this.#paths.get(namespace);
    return path && join(path, LEAF);
  }

  /**
   * Makes the cgroups what is wanted, by namespace: the limits of processes that are in one change under them, and they
   * move along where the node is carried by another. One that is no longer wanted goes when it is empty.
   */
  settle(wanted: ReadonlyMap<string, NodeShare>): void {
    const hierarchy = this.#hierarchy;
    if (!hierarchy) return;
    const text = JSON.stringify([...wanted]);
    // what could not be removed is tried again only with other changes
    if (text === this.#settled) return;
    this.#settled = '';
    const top = join(hierarchy.mount, FOLDER);
    const found = this.#find(top);
    const paths = new Map<string, string>();
    for (const name of wanted.keys()) paths.set(name, join(top, ...lineage(wanted, name)));
    const byDepth = [...paths].toSorted(([, a], [, b]) => a.split('/').length - b.split('/').length);
    for (const [name, path] of byDepth) this.#make(name, path);
    this.#limit(wanted, byDepth);
    this.#paths = paths;
    for (const path of found.toReversed()) {
      const name = path.slice(path.lastIndexOf('/') + 1);
      const place = paths.get(name);
      if (place === path) continue;
      if (place !== undefined) move(join(path, LEAF), join(place, LEAF));
      remove(join(path, LEAF));
      remove(path);
    }
    if (wanted.size === 0) remove(top);
    this.#settled = text;
  }

  /** Ours, the outer before the inner. */
  #find(folder: string, depth = 0): string[] {
    if (depth > DEEPEST) return [];
    let names: string[];
    try {
      names = readdirSync(folder).filter((name) => this.#ours.test(name));
    } catch (error) {
      if (isGone(error)) return [];
      throw error;
    }
    return names.flatMap((name) => [join(folder, name), ...this.#find(join(folder, name), depth + 1)]);
  }

  #make(name: string, path: string): void {
    const { version = 1, mount = '' } = this.#hierarchy ?? {};
    mkdirSync(join(path, LEAF), { recursive: true });
    if (version === 1) return;
    // from the root to the folder that holds this one: each hands the controller on
    const above = path.slice(mount.length + 1, -name.length - 1).split('/');
    for (let i = 0; i <= above.length; i++) {
      writeFileSync(join(mount, ...above.slice(0, i), 'cgroup.subtree_control'), '+cpu');
    }
  }

  /** A cgroup never has more than the one around it: what falls does so from the inside, what rises from the outside. */
  #limit(wanted: ReadonlyMap<string, NodeShare>, byDepth: readonly (readonly [string, string])[]): void {
    const quotas = byDepth.map(([name, path]) => {
      const share = lineage(wanted, name).reduce((all, one) => all * thousandthsOf(wanted, one), 1);
      const quota = Math.max(SMALLEST_QUOTA_US, Math.floor(share * this.#processors * PERIOD_US));
      return { path, quota, before: this.#read(path) };
    });
    for (const { path, quota, before } of quotas.toReversed()) if (before > quota) this.#write(path, quota);
    for (const { path, quota, before } of quotas) if (before < quota) this.#write(path, quota);
  }

  /** 0: none. */
  #read(path: string): number {
    const file = this.#hierarchy?.version === 1 ? 'cpu.cfs_quota_us' : 'cpu.max';
    try {
      const quota = Number.parseInt(readFileSync(join(path, file), 'utf8'), 10);
      return quota > 0 ? quota : 0;
    } catch (error) {
      if (isGone(error)) return 0;
      throw error;
    }
  }

  #write(path: string, quota: number): void {
    if (this.#hierarchy?.version === 1) writeFileSync(join(path, 'cpu.cfs_quota_us'), String(quota));
    else writeFileSync(join(path, 'cpu.max'), `${quota} ${PERIOD_US}`);
  }
}

function thousandthsOf(wanted: ReadonlyMap<string, NodeShare>, name: string): number {
  return (wanted.get(name)?.thousandths ?? 1000) / 1000;
}

/** The outermost first, the node itself last. */
function lineage(wanted: ReadonlyMap<string, NodeShare>, name: string): string[] {
  const names: string[] = [];
  let at: string | undefined = name;
  while (at !== undefined && wanted.has(at) && names.length < DEEPEST && !names.includes(at)) {
    names.unshift(at);
    at = wanted.get(at)?.parent;
  }
  return names;
}

/** All processes of a leaf; one that ends meanwhile is as good. */
function move(from: string, to: string): void {
  let processes: string[];
  try {
    processes = readFileSync(join(from, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean);
  } catch (error) {
    if (isGone(error)) return;
    throw error;
  }
  for (const process of processes) {
    try {
      writeFileSync(join(to, 'cgroup.procs'), process);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
    }
  }
}

/** While somebody is in it, it stays, with its limits. */
function remove(path: string): void {
  try {
    rmdirSync(path);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code !== 'ENOENT' && code !== 'EBUSY' && code !== 'ENOTEMPTY') throw error;
  }
}
