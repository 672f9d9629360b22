import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Tests in test/cli and test/crash run what was built: it is built again where a source is newer, unless only other tests were asked for. */
export function setup(): void {
  const asked = process.argv.slice(2).filter(word => word.includes('test/'));
  if (asked.length > 0 && !asked.some(word => /test\/(cli|crash)/.test(word))) return;
  if (process.env['MAILFERRY_PROGRAM'] !== undefined) return;
  const built = join(ROOT, 'dist/cli/main.js');
  if (existsSync(built) && statSync(built).mtimeMs >= newest(join(ROOT, 'src'))) return;
  execFileSync('npm', ['run', '--silent', 'build'], { cwd: ROOT, stdio: 'inherit' });
}

function newest(folder: string): number {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile());
  return Math.max(0, ...files.map(entry => statSync(join(entry.parentPath, entry.name)).mtimeMs));
}
