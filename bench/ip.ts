/*
 * `ip` in a network namespace.
 */
import { execFileSync } from 'node:child_process';

/** One line each, as for `ip -batch`; throws what `ip` says. */
export function ip(namespace: string, ...lines: readonly string[]): void {
  const input = `${lines.join('\n')}\n`;
  execFileSync('ip', ['-netns', namespace, '-batch', '-'], { input, stdio: ['pipe', 'ignore', 'pipe'] });
}
