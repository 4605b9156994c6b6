/** What can be asked of the testbed. Apart from what answers, which takes time to load. */
export const WORLD_WORDS = [
  'machines',
  'nodes',
  'links',
  'vns',
  'vifs',
  'routes',
  'paths',
  'tunnels',
  'wires',
  'bfdPeers',
  'labels',
  'neighbours',
  'counters',
  'drops',
] as const;

/** In any of its spellings. Undefined: it is none. */
export function worldWord(what: string): (typeof WORLD_WORDS)[number] | undefined {
  if (what === 'networks') return 'vns';
  if (what === 'bfdpeers' || what === 'bfdpeer') return 'bfdPeers';
  return WORLD_WORDS.find((one) => one === what || one === `${what}s`);
}
