// Holds the directions of imports that docs/design.md draws: who may know whom. A room is a folder (or a file of gen/);
// what is not listed for a room may not be imported
// there. Only test, bench and scripts may look into every room.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

const ROOMS: Readonly<Record<string, readonly string[]>> = {
  'native/lib': [],
  'src/identity': [],
  'src/api': ['src/identity', 'gen/cabernet'],
  'src/store': [],
  'src/dataplane': ['native/lib', 'gen/layout', 'gen/reasons'],
  'src/graph': [],
  // One controller's API as whoever calls it sees it.
  'src/resources': ['src/api', 'gen/cabernet'],
  'src/metrics': [],
  // What became of leases, and its place in the store.
  'src/history': ['src/store', 'src/api', 'gen/cabernet'],
  'src/controller': ['src/api', 'src/store', 'src/history', 'src/identity', 'src/metrics', 'gen/cabernet'],
  'src/infrastructure': [
    'src/controller',
    'src/api',
    'src/graph',
    'src/history',
    'src/store',
    'gen/cabernet',
  ],
  'src/connectivity': ['src/controller', 'src/api', 'src/graph', 'src/history', 'src/store', 'gen/cabernet'],
  'src/service': ['src/controller', 'src/api', 'src/graph', 'src/store', 'gen/cabernet'],
  'src/nic': ['native/lib'],
  'src/node': [
    'src/dataplane',
    'src/nic',
    'src/metrics',
    'src/api',
    'src/identity',
    'native/lib',
    'gen/cabernet',
    'gen/layout',
    'gen/reasons',
  ],
  // Starts processes by path and knows the API; wires and namespaces are the kernel's.
  'src/world': ['src/resources', 'src/graph', 'src/api', 'src/identity', 'native/lib', 'gen/cabernet'],
  // `cabernet node` and the controllers' commands are others' own entries.
  'src/cli': [
    'src/world',
    'src/resources',
    'src/nic',
    'src/api',
    'src/identity',
    'src/node/main',
    'src/controller/process',
    'src/infrastructure/main',
    'src/connectivity/main',
    'src/service/main',
    'native/lib',
    'gen/cabernet',
  ],
};

function filesUnder(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name));
}

function importsOf(file: string): string[] {
  const found = readFileSync(file, 'utf8').matchAll(/(?:\bfrom|\bimport)\s*\(?\s*['"](\.[^'"]+)['"]/g);
  return [...found].flatMap(([, path]) => (path === undefined ? [] : [normalize(join(dirname(file), path))]));
}

function within(path: string, place: string): boolean {
  return path === place || path.startsWith(`${place}/`) || path.startsWith(`${place}.`);
}

let wrong = 0;
function complain(file: string, sentence: string): void {
  wrong++;
  process.stdout.write(`${file}: ${sentence}\n`);
}

const files = [...filesUnder('src'), ...filesUnder('native/lib')];
for (const file of files) {
  const room = Object.keys(ROOMS).find((name) => within(file, name));
  if (room === undefined) {
    complain(file, 'is in no room that scripts/check-imports.ts knows');
    continue;
  }
  for (const path of importsOf(file)) {
    const allowed = [room, ...(ROOMS[room] ?? [])].some((place) => within(path, place));
    if (!allowed) complain(file, `${room} may not import ${path}`);
  }
}
process.stdout.write(`${files.length} files, ${wrong} wrong imports\n`);
process.exitCode = wrong === 0 ? 0 : 1;
