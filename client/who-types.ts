import os from 'node:os';

/** The person, also where sudo made them root. */
export function whoTypes(): string {
  const user = process.env['SUDO_USER'] ?? loginName();
  return `${user}@${os.hostname()}`;
}

function loginName(): string {
  try {
    return os.userInfo().username;
  } catch {
    // A user that this host has no name for.
    return `uid ${process.getuid?.()}`;
  }
}
