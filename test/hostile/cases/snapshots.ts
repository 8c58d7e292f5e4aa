import type { HostileCase } from './hostile-case.ts';

/** What somebody did to a snapshot before it is restored, or a service to its volume before it is taken. */
export interface SnapshotCase extends HostileCase {
  /** Shell lines run in the volume's folder before the snapshot is taken; $OUTSIDE is a folder of the host's. */
  volume?: string;
  /** Shell lines run in the snapshot's folder afterwards; $TAR is the volume's tar. */
  tampering?: string;
  /** The record is forged to match. */
  forged?: true;
}

const OTHER_CONTENT = 'has other content';
const CLIMBER =
  'mkdir x; tar --create --absolute-names --file=$TAR --transform="s,^,../../../../outside/," -C x . ../$TAR.txt';

export const SNAPSHOT_CASES: readonly SnapshotCase[] = [
  { name: 'tar-cut', hostile: 'a tar cut short', tampering: 'truncate -s 100 $TAR', says: OTHER_CONTENT },
  {
    name: 'tar-grown',
    hostile: 'a tar with something after its end',
    tampering: 'echo more >> $TAR',
    says: OTHER_CONTENT,
  },
  {
    name: 'tar-climbs',
    hostile: 'a tar whose members climb out of the volume',
    tampering: `echo evil > $TAR.txt; ${CLIMBER}`,
    says: OTHER_CONTENT,
  },
  {
    name: 'tar-climbs-forged',
    hostile: 'a tar whose members climb out, under a record forged to match',
    tampering: `echo evil > $TAR.txt; ${CLIMBER}`,
    forged: true,
    says: null,
  },
  {
    name: 'tar-absolute-forged',
    hostile: 'a tar whose members are absolute, under a record forged to match',
    tampering: 'echo evil > x; tar --create --absolute-names --file=$TAR --transform="s,^,$OUTSIDE/," x',
    forged: true,
    says: null,
  },
  {
    name: 'tar-through-link-forged',
    hostile: 'a tar that makes a link to a folder outside and writes below it, under a forged record',
    tampering:
      'ln -s $OUTSIDE l; tar --create --file=$TAR l; rm l; mkdir l; echo evil > l/canary; tar --append --file=$TAR l/canary',
    forged: true,
    says: null,
  },
  {
    name: 'tar-missing',
    hostile: 'a tar that is gone',
    tampering: 'rm $TAR',
    says: 'the snapshot is not the one its record names',
  },
  {
    name: 'tar-folder',
    hostile: 'a folder in place of a tar',
    tampering: 'rm $TAR; mkdir $TAR',
    says: 'the snapshot is not the one its record names',
  },
  {
    name: 'manifest-changed',
    hostile: 'a manifest that names another volume',
    tampering: 'sed -i s/thing_data/../ manifest.json',
    says: 'manifest.json has another sha256',
  },
  {
    name: 'manifest-gone',
    hostile: 'a manifest that is gone',
    tampering: 'rm manifest.json',
    says: 'the snapshot is not the one its record names',
  },
  {
    name: 'volume-links',
    hostile: 'a volume with links to files and folders of the host',
    volume: 'ln -s /etc/shadow shadow; ln -s $OUTSIDE folder; ln -s / root; ln -s ../../../.. up',
    says: null,
  },
  {
    name: 'volume-hard-links',
    hostile: 'a volume with hard links among its files',
    volume: 'echo a > a; ln a b; mkdir d; ln a d/c',
    says: null,
  },
  {
    name: 'volume-devices',
    hostile: 'a volume with devices, a pipe and a socket',
    volume:
      'mknod disk b 8 0; mknod zero c 1 5; mkfifo pipe; python3 -c "import socket; socket.socket(socket.AF_UNIX).bind(\'sock\')" || true',
    says: null,
  },
  {
    name: 'volume-option-names',
    hostile: 'a volume with files named like options of tar and find',
    volume:
      'touch -- "--checkpoint-action=exec=touch \\$OUTSIDE" "--checkpoint=1" "-delete" "--to-command=sh" "-exec"; touch -- "$(printf "new\\nline")" "$(printf "\\033[2J")"',
    says: null,
  },
  {
    name: 'volume-setuid',
    hostile: 'a volume with a file that runs as root',
    volume: 'cp /bin/true su; chmod 6755 su; chown 1000:1000 su; chmod 6755 su',
    says: null,
  },
];
