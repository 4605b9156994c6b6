/**
 * Debian's cloud kernels, fetched as packages and unpacked beside the build, never installed. apt is asked with lists
 * and a cache of its own, from the mirror this host uses, so that a kernel of another release can be had too.
 */
import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { LabError } from './errors.js';
import { labFolder } from './paths.js';

const run = promisify(execFile);

/** By the version a user says: the release whose kernel it is. The oldest that the data plane supports comes first. */
export const KERNELS: Readonly<Record<string, string>> = { '6.1': 'bookworm', '6.12': 'trixie' };
/** Of that kernel for virtual machines, with virtio and without most other drivers. */
const PACKAGE = 'linux-image-cloud-amd64';
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

export interface Kernel {
  /** `6.1` */
  readonly name: string;
  /** `uname -r` */
  readonly release: string;
  readonly image: string;
  /** lib/modules/RELEASE, with a modules.dep. */
  readonly modules: string;
}

function folderOf(name: string): string {
  return join(labFolder, 'kernels', name);
}

/** The kernel as it was unpacked, or why it is not there. */
export function findKernel(name: string): Kernel | { readonly missing: string } {
  const folder = folderOf(name);
  const reason = join(labFolder, 'kernels', `${name}.missing`);
  const modules = join(folder, 'lib', 'modules');
  const [release] = existsSync(modules) ? readdirSync(modules) : [];
  if (release !== undefined && existsSync(join(folder, 'complete'))) {
    return {
      name,
      release,
      image: join(folder, 'boot', `vmlinuz-${release}`),
      modules: join(modules, release),
    };
  }
  if (existsSync(reason)) return { missing: readFileSync(reason, 'utf8') };
  return { missing: `Linux ${name} was not fetched: npm run test:kernels ${name} does` };
}

/** Fetches and unpacks it, unless it is there. Throws LabError KERNEL, and findKernel() tells the same from then on. */
export async function ensureKernel(name: string): Promise<Kernel> {
  const found = findKernel(name);
  if (!('missing' in found)) return found;
  const reason = join(labFolder, 'kernels', `${name}.missing`);
  mkdirSync(join(labFolder, 'kernels'), { recursive: true });
  rmSync(reason, { force: true });
  try {
    await fetchKernel(name);
  } catch (cause) {
    const error =
      cause instanceof LabError ? cause : new LabError('KERNEL', sentenceOf(name, cause), { cause });
    writeFileSync(reason, error.message);
    throw error;
  }
  const kernel = findKernel(name);
  if ('missing' in kernel) throw new LabError('KERNEL', kernel.missing);
  return kernel;
}

const OFFLINE = /Temporary failure|Could not (resolve|connect)|Unable to connect|is unreachable|timed out/;

function sentenceOf(name: string, cause: unknown): string {
  const { stderr = '', message = String(cause) } = cause as { stderr?: string; message?: string };
  const said = /^E: (.*)$/m.exec(stderr)?.[1] ?? message;
  return `Linux ${name} can't be fetched: ${OFFLINE.test(said) ? 'there seems to be no network' : said}`;
}

async function fetchKernel(name: string): Promise<void> {
  const suite = KERNELS[name];
  if (suite === undefined) {
    throw new LabError('KERNEL', `no kernel is called ${name}: there are ${Object.keys(KERNELS).join(', ')}`);
  }
  if (process.arch !== 'x64')
    throw new LabError('KERNEL', `the lab's kernels are for amd64, not ${process.arch}`);
  const folder = folderOf(name);
  const apt = await aptOf(suite);
  // without that option, lists that can't be fetched are only warned of
  await run('apt-get', [...apt, '--error-on=any', 'update']);
  const { stdout } = await run('apt-cache', [...apt, 'depends', PACKAGE]);
  const [, real] = /Depends: (linux-image-\S+)/.exec(stdout) ?? [];
  if (real === undefined) throw new LabError('KERNEL', `${PACKAGE} of ${suite} names no kernel`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  await run('apt-get', [...apt, 'download', real], { cwd: folder });
  const file = readdirSync(folder).find((entry) => entry.endsWith('.deb'));
  if (file === undefined) throw new LabError('KERNEL', `${real} was not downloaded`);
  await run('dpkg-deb', ['--extract', join(folder, file), folder]);
  rmSync(join(folder, file));
  // since Debian 13, packages have no /lib of their own
  if (!existsSync(join(folder, 'lib'))) symlinkSync(join('usr', 'lib'), join(folder, 'lib'));
  const [release = ''] = readdirSync(join(folder, 'lib', 'modules'));
  // kmod may not be there, and Debian's package makes it when it is installed
  await run('busybox', ['depmod', '-b', folder, release]);
  writeFileSync(join(folder, 'complete'), `${file}\n`);
}

/** Options that keep apt to its own lists below build/lab. */
async function aptOf(suite: string): Promise<string[]> {
  const folder = join(labFolder, 'apt', suite);
  for (const part of ['lists/partial', 'cache/archives/partial', 'empty']) {
    mkdirSync(join(folder, part), { recursive: true });
  }
  const list = join(folder, 'sources.list');
  const keyring = existsSync(KEYRING) ? ` signed-by=${KEYRING}` : '';
  writeFileSync(list, `deb [arch=amd64${keyring}] ${await mirror()} ${suite} main\n`);
  writeFileSync(join(folder, 'status'), '');
  const settings = {
    'Dir::Etc::SourceList': list,
    'Dir::Etc::SourceParts': join(folder, 'empty'),
    'Dir::State::Lists': join(folder, 'lists'),
    'Dir::State::status': join(folder, 'status'),
    'Dir::Cache': join(folder, 'cache'),
    // this folder is not for the user that apt would become
    'APT::Sandbox::User': '',
    'APT::Architecture': 'amd64',
    'Acquire::Languages': 'none',
    'Acquire::Retries': '1',
  };
  return Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
}

/** Where this host gets Debian's packages. */
async function mirror(): Promise<string> {
  const { stdout } = await run('apt-get', ['indextargets', '--format', '$(CREATED_BY) $(COMPONENT) $(SITE)']);
  const sites = stdout.split('\n').flatMap((line) => {
    const [made, component, site] = line.split(' ');
    return made === 'Packages' && component === 'main' && site?.endsWith('/debian') ? [site] : [];
  });
  const [site] = sites;
  if (site === undefined)
    throw new LabError('KERNEL', "this host's apt has no mirror of Debian's main archive");
  return site;
}
