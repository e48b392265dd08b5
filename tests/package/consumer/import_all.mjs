// Imports each of the modules in its arguments, and prints how many names each exports.
import process from "node:process";

const counts = {};
for (const specifier of process.argv.slice(2)) {
  counts[specifier] = Object.keys(await import(specifier)).length;
}
console.log(JSON.stringify(counts));
