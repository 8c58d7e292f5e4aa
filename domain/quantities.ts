/** A span as people read it: `7s`, `3m 05s`, `2h 07m`, `3d 04h`. */
export function formatDuration(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const [minutes, hours, days] = [60, 3600, 86_400].map((unit) => Math.floor(seconds / unit)) as [
    number,
    number,
    number,
  ];
  if (minutes === 0) return `${seconds}s`;
  if (hours === 0) return `${minutes}m ${two(seconds % 60)}s`;
  if (days === 0) return `${hours}h ${two(minutes % 60)}m`;
  return `${days}d ${two(hours % 24)}h`;
}

function two(number: number): string {
  return String(number).padStart(2, '0');
}

/** A moment in UTC, to the second: `2025-03-02 03:00:00Z`. */
export function formatTime(moment: Date): string {
  return moment
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, 'Z');
}
