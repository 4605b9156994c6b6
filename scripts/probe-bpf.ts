// Whether this process may make BPF maps here; if not, one plain sentence and exit status 1.
import { BpfError } from '../native/lib/error.js';
import { BpfMap } from '../native/lib/map.js';

try {
  BpfMap.create({ type: 'array', name: 'probe', keySize: 4, valueSize: 8, maxEntries: 1 }).close();
} catch (error) {
  if (!(error instanceof BpfError)) throw error;
  process.stderr.write(
    `cabernet: BPF can't be used here (${error.code}): the kernel or the container doesn't allow it.\n`,
  );
  process.exitCode = 1;
}
