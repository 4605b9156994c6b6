/** Resource names as people read them. */

const NAME = /vns\/([^/\s]+)\/nodes\/([^/\s;,]+)(?:\/vifs\/([A-Za-z0-9_-]+))?/g;

/** `iptv/P` for `vns/iptv/nodes/P`, `iptv/P/to-M` for a vif, wherever they stand in a text. */
export function short(text: string): string {
  return text.replace(NAME, (_, vn: string, node: string, vif?: string) =>
    vif === undefined ? `${vn}/${node}` : `${vn}/${node}/${vif}`,
  );
}

/** `iptv` of anything in it; empty for what is in none. */
export function networkOf(name: string): string {
  return /^vns\/([^/]+)\/nodes\//.exec(name)?.[1] ?? '';
}
