import fc from 'fast-check';
import { expect, test } from 'vitest';

import { createLogger, type Logger, type LogLevel, parseLogLevel } from '../../src/api/log.js';

function capture(level?: LogLevel): { log: Logger; lines: string[] } {
  const lines: string[] = [];
  const log = createLogger({
    component: 'node',
    level,
    write: (line) => lines.push(line),
    now: () => new Date(0),
  });
  return { log, lines };
}

test('a line has time, level, component, message and fields', () => {
  const { log, lines } = capture();
  log.info('applied', { owner: 'one', epoch: 7n, ms: 1.5, ok: true, none: undefined, nothing: null });
  log.child('api', { request: 'r1' }).warn('refused', { message: 'no "such" vif', path: 'a=b', empty: '' });
  expect(lines).toEqual([
    '1970-01-01T00:00:00.000Z info node applied owner=one epoch=7 ms=1.5 ok=true nothing=null',
    '1970-01-01T00:00:00.000Z warn api refused request=r1 message="no \\"such\\" vif" path="a=b" empty=""',
  ]);
});

test('levels', () => {
  const { log, lines } = capture('warn');
  log.debug('a');
  log.info('b');
  log.warn('c');
  log.error('d');
  expect(lines).toHaveLength(2);
  expect(parseLogLevel('debug')).toBe('debug');
  expect(parseLogLevel('DEBUG')).toBeUndefined();
});

test('values of every kind', () => {
  const { log, lines } = capture();
  const circular: { self?: unknown } = {};
  circular.self = circular;
  log.info('x', {
    error: Object.assign(new Error('no file'), { code: 'ENOENT' }),
    bytes: Uint8Array.of(1, 255),
    object: { a: 1n },
    circular,
    date: new Date(0),
    symbol: Symbol('s'),
  });
  expect(lines[0]).toContain('error="ENOENT: no file" bytes=01ff object="{\\"a\\":\\"1\\"}"');
});

test('nothing that is logged makes a line or moves the cursor', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: 'binary' }),
      fc.string({ unit: 'binary' }),
      (message, name, value) => {
        const { log, lines } = capture();
        log.child(message).info(message, { [`k${name}`]: value });
        log.info('x', { text: `${value}\nforged\u001b[2J\u2028\u202e` });
        expect(lines).toHaveLength(2);
        // oxlint-disable-next-line no-control-regex
        for (const line of lines) expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e]/);
      },
    ),
  );
  const { log, lines } = capture();
  log.info('x', { text: 'y'.repeat(100_000) });
  expect(lines[0]?.length).toBeLessThan(5000);
});
