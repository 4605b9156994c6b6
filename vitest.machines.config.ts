// The tests that boot machines: one project for each kernel, side by side; `npm run test:kernels` is the way to start
// them, since they need kernels fetched and everything built.
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { SuiteReporter } from './scripts/suite-reporter.js';

const kernels = (process.env['CABERNET_KERNELS'] ?? '6.1').split(' ');
const results = process.env['CABERNET_TEST_RESULTS'];
const suiteOf = (kernel: string): string => `linux-${kernel}`;

export default defineConfig({
  cacheDir: join(results ?? tmpdir(), 'cabernet-vitest'),
  test: {
    pool: 'forks',
    // a guest's processors are this host's: more at a time would only make each slower
    maxWorkers: 2,
    passWithNoTests: false,
    // emulated processors are some twenty times slower
    testTimeout: 120_000,
    hookTimeout: 240_000,
    teardownTimeout: 30_000,
    reporters: [
      new SuiteReporter(kernels.map(suiteOf), results && join(results, 'closing'), { skippable: true }),
      'verbose',
    ],
    projects: kernels.map((kernel) => ({
      extends: true,
      test: {
        name: suiteOf(kernel),
        include: ['test/machines/**/*.test.ts'],
        env: { CABERNET_KERNEL: kernel },
      },
    })),
  },
});
