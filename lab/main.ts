/**
 * The lab by hand:
 *   node dist/lab/main.js fetch KERNEL…             what the tests need of the network
 *   node dist/lab/main.js exec KERNEL COMMAND…      one command in a guest, as root; its status is this one's
 */
import { LabError } from './errors.js';
import { ensureKernel, KERNELS } from './kernels.js';
import { Lab } from './lab.js';

const USAGE = `usage: fetch KERNEL…, or exec KERNEL COMMAND…; kernels: ${Object.keys(KERNELS).join(', ')}\n`;

/** One sentence for each that can't be had; the tests skip it with the same. */
async function fetchAll(names: readonly string[]): Promise<void> {
  for (const name of names) {
    try {
      const { release } = await ensureKernel(name);
      process.stdout.write(`${name}: Linux ${release}\n`);
    } catch (error) {
      if (!(error instanceof LabError)) throw error;
      process.stdout.write(`${name}: ${error.message}\n`);
    }
  }
}

async function execute(name: string, argv: readonly string[]): Promise<void> {
  const lab = await Lab.open(await ensureKernel(name));
  try {
    const guest = await lab.boot({ name: 'guest', cpus: 2, memory: 2048 });
    const { status, stdout, stderr } = await guest.exec(argv, { mayFail: true, timeout: 3_600_000 });
    process.stdout.write(stdout);
    process.stderr.write(stderr);
    process.exitCode = status ?? 1;
  } finally {
    await lab.close();
  }
}

const [verb, ...rest] = process.argv.slice(2);
const [name, ...argv] = rest;
try {
  if (verb === 'fetch' && rest.length > 0) await fetchAll(rest);
  else if (verb === 'exec' && name !== undefined && argv.length > 0) await execute(name, argv);
  else {
    process.stderr.write(USAGE);
    process.exitCode = 2;
  }
} catch (error) {
  if (!(error instanceof LabError)) throw error;
  process.stderr.write(`lab: ${error.message}\n`);
  process.exitCode = 1;
}
