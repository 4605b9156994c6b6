/** What `cabernet stream` refuses before it looks for a world. What it measures: test/worlds/protection.test.ts. */
import { afterAll, expect, test } from 'vitest';

import { Home } from './support.js';

const home = new Home();
afterAll(() => home.remove());

const both = ['iptv/hp', 'iptv/hm'];

test.each([
  [[], /missing required argument 'from'/],
  [['iptv/hp'], /missing required argument 'to'/],
  [[...both, 'iptv/hq'], /too many arguments/],
  [[...both, '--interval', '1'], /--interval 1: a time such as 20ms/],
  [[...both, '--interval', '-1ms'], /--interval -1ms: a time such as/],
  [[...both, '--interval', '0ms'], /--interval 0ms: 10us to 10s/],
  [[...both, '--interval', '9us'], /--interval 9us: 10us to 10s/],
  [[...both, '--interval', '10.1s'], /--interval 10.1s: 10us to 10s/],
  [[...both, '--interval', '1ns'], /a time such as/],
  [[...both, '--interval', '9'.repeat(400)], /a time such as/],
  [[...both, '--duration', '0.5ms'], /--duration 0.5ms: an interval to 3600s/],
  [[...both, '--interval', '2s', '--duration', '1s'], /--duration 1s: an interval to 3600s/],
  [[...both, '--duration', '3601s'], /an interval to 3600s/],
  [[...both, '--duration', 'NaN'], /a time such as/],
  [[...both, '--bytes', '31'], /--bytes 31: 32 to 9000/],
  [[...both, '--bytes', '9001'], /--bytes 9001: 32 to 9000/],
  [[...both, '--bytes', '1e3'], /whole number/],
  [[...both, '--bytes', '-64'], /whole number|32 to 9000/],
  [[...both, '--json', '--csv'], /--json.*cannot be used with.*--csv/],
  [[...both, '--rate', '1mbit'], /unknown option '--rate'/],
] as const)('refused in one sentence: stream %j', async (args, sentence) => {
  const { status, stdout, stderr } = await home.run('stream', ...args);
  expect(stderr).toMatch(sentence);
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr).not.toMatch(/\n\s+at /);
});

test('there is nothing to send in a world that is not up: status 1', async () => {
  const { status, stdout, stderr } = await home.run('--world', 'no-such-world', 'stream', ...both);
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  expect(stderr).toMatch(/no-such-world is not up/);
});
