/**
 * Finds the test files.
 * @module
 */

/**
 * Lists every `*_test.ts` under a folder, sorted, as paths from the current folder.
 * @param folder Where to look, relative to the current folder.
 * @param parts Only files whose path contains one of these; all files where it is empty.
 * @returns The paths, with `/` between their parts.
 */
export async function listTestFiles(folder: string, parts: readonly string[] = []): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) found.push(...await listTestFiles(path));
    else if (entry.name.endsWith("_test.ts")) found.push(path);
  }
  const wanted = parts.map((part) => part.replaceAll("\\", "/").replace(/^\.\//, ""));
  return found.filter((path) => wanted.length === 0 || wanted.some((part) => path.includes(part))).sort();
}
