// Names for the kernel's numbers about maps (linux/bpf.h).

/** Map types in the order of `enum bpf_map_type`. */
const TYPES = [
  'unspec',
  'hash',
  'array',
  'prog_array',
  'perf_event_array',
  'percpu_hash',
  'percpu_array',
  'stack_trace',
  'cgroup_array',
  'lru_hash',
  'lru_percpu_hash',
  'lpm_trie',
  'array_of_maps',
  'hash_of_maps',
  'devmap',
  'sockmap',
  'cpumap',
  'xskmap',
  'sockhash',
  'cgroup_storage',
  'reuseport_sockarray',
  'percpu_cgroup_storage',
  'queue',
  'stack',
  'sk_storage',
  'devmap_hash',
  'struct_ops',
  'ringbuf',
  'inode_storage',
  'task_storage',
  'bloom_filter',
  'user_ringbuf',
  'cgrp_storage',
  'arena',
] as const;

/** A map's type by its name in the kernel, in lower case; `'unknown'` for one newer than this list. */
export type MapType = (typeof TYPES)[number] | 'unknown';

export function mapTypeName(type: number): MapType {
  return TYPES[type] ?? 'unknown';
}

/** The kernel's number of a map type, or undefined for a name that is none. */
export function mapTypeNumber(name: string): number | undefined {
  const at = TYPES.findIndex((type) => type === name);
  return at < 0 ? undefined : at;
}

/** Flags of map creation (`BPF_F_…`). */
export const MapFlags = {
  NO_PREALLOC: 1 << 0,
  NO_COMMON_LRU: 1 << 1,
  NUMA_NODE: 1 << 2,
  RDONLY: 1 << 3,
  WRONLY: 1 << 4,
  ZERO_SEED: 1 << 6,
  RDONLY_PROG: 1 << 7,
  WRONLY_PROG: 1 << 8,
  CLONE: 1 << 9,
  MMAPABLE: 1 << 10,
  PRESERVE_ELEMS: 1 << 11,
  INNER_MAP: 1 << 12,
} as const;

/** Whether an update may create (`BPF_ANY`), must create (`BPF_NOEXIST`) or must replace (`BPF_EXIST`). */
export type UpdateMode = 'any' | 'create' | 'exist';

const MODES: ReadonlyMap<unknown, number> = new Map([
  ['any', 0],
  ['create', 1],
  ['exist', 2],
]);

export function updateFlags(mode: UpdateMode): number | undefined {
  return MODES.get(mode);
}
