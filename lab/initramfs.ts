/**
 * What a guest boots into: busybox, the few modules that reach the host's own root, and a script that makes that the
 * guest's, read-only below a layer of memory. The rest of the guest is the host's: node, iproute2, this package.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { LabError } from './errors.js';
import { type Kernel } from './kernels.js';

/** Enough for the root file system and the NICs; the kernel asks for the others by itself. */
const MODULES = ['virtio_pci', 'virtio_net', 'virtio_console', 'virtiofs', 'overlay'];

/** The tag of the host's root. */
export const ROOT_TAG = 'host';

/** `node`, `script`: what runs in the guest, by the paths they have on the host; `port`: the control channel's name. */
export function initramfs(
  kernel: Kernel,
  { node, script, port }: { node: string; script: string; port: string },
): Buffer {
  const archive = new Cpio();
  for (const folder of ['bin', 'proc', 'sys', 'dev', 'host', 'layer', 'root', 'modules'])
    archive.folder(folder);
  archive.file('bin/busybox', readFileSync(busybox()), 0o755);
  const modules = withDependencies(kernel, MODULES);
  for (const path of modules) archive.file(`modules/${nameOf(path)}`, module(join(kernel.modules, path)));
  archive.file('init', Buffer.from(init(kernel, modules.map(nameOf), [node, script, port])), 0o755);
  return archive.end();
}

function busybox(): string {
  try {
    return execFileSync('sh', ['-c', 'command -v busybox'], { encoding: 'utf8' }).trim();
  } catch (cause) {
    throw new LabError('HOST', 'there is no busybox: install busybox-static', { cause });
  }
}

/**
 * First what gives a guest its root, then what a running machine has, all of it by busybox from memory: a program of
 * the host's costs ten times as much. bash is the first process: it takes in orphans, which node would not.
 */
function init(kernel: Kernel, modules: readonly string[], command: readonly string[]): string {
  return `#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in ${modules.join(' ')}; do insmod /modules/$module || echo "$module can't be loaded"; done
mount -t virtiofs -o ro ${ROOT_TAG} /host
mount -t tmpfs layer /layer
mkdir /layer/upper /layer/work
mount -t overlay -o lowerdir=/host,upperdir=/layer/upper,workdir=/layer/work root /root
cd /root
mount -t tmpfs run run
mount -t proc proc proc
mount -t sysfs sys sys
mount -t devtmpfs dev dev
mkdir -p dev/pts run/netns run/lock lib/modules
mount -t devpts devpts dev/pts
mount -t bpf bpf sys/fs/bpf
mount -t cgroup2 cgroup sys/fs/cgroup
ln -sfn '${kernel.modules}' lib/modules/${kernel.release}
printf '#!/bin/sh\\nexec busybox modprobe "$@"\\n' >run/modprobe
chmod +x run/modprobe
echo /run/modprobe >proc/sys/kernel/modprobe
ifconfig lo up
hostname "$(sed -n 's/.*lab.name=\\([^ ]*\\).*/\\1/p' proc/cmdline)"
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
exec switch_root /root /bin/bash -c '"$0" "$@"; echo "the control channel ended ($?)"; echo b >/proc/sysrq-trigger' ${command.map((word) => `'${word}'`).join(' ')}
`;
}

// ---- modules

function nameOf(path: string): string {
  return basename(path).replace(/\.xz$/, '');
}

/** Paths of the modules and all they need, in an order in which they can be loaded. */
function withDependencies(kernel: Kernel, names: readonly string[]): string[] {
  const needs = new Map<string, string[]>();
  for (const line of readFileSync(join(kernel.modules, 'modules.dep'), 'utf8').split('\n')) {
    const [path, rest = ''] = line.split(':');
    if (path) needs.set(path, rest.split(' ').filter(Boolean));
  }
  const order: string[] = [];
  for (const name of names) {
    const path = [...needs.keys()].find((one) => nameOf(one) === `${name}.ko`);
    // built into the kernel
    if (path === undefined) continue;
    for (const one of [...(needs.get(path) ?? []).toReversed(), path])
      if (!order.includes(one)) order.push(one);
  }
  return order;
}

function module(path: string): Buffer {
  if (!path.endsWith('.xz')) return readFileSync(path);
  return execFileSync('busybox', ['xz', '-dc', path], { maxBuffer: 1 << 26 });
}

// ---- the archive

/** cpio in the format "newc" that the kernel unpacks (Documentation/driver-api/early-userspace/buffer-format.rst). */
class Cpio {
  readonly #parts: Buffer[] = [];
  #inode = 1;

  folder(name: string): void {
    this.#add(name, 0o040755, Buffer.alloc(0));
  }

  file(name: string, content: Buffer, mode = 0o644): void {
    this.#add(name, 0o100000 | mode, content);
  }

  end(): Buffer {
    this.#add('TRAILER!!!', 0, Buffer.alloc(0));
    return Buffer.concat(this.#parts);
  }

  #add(name: string, mode: number, content: Buffer): void {
    // inode, mode, uid, gid, links, time, size, device (2), special device (2), length of the name, checksum
    const fields = [this.#inode++, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length + 1, 0];
    const head = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}${name}\0`;
    this.#parts.push(padded(Buffer.from(head)), padded(content));
  }
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
}
