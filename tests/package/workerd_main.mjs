// Runs one bundled worker in workerd, through miniflare: FOLDER-OF-MINIFLARE BUNDLE ORDER. Prints its answer.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import process from "node:process";

const [folder, bundle, order] = process.argv.slice(2);
const { Miniflare } = createRequire(`${folder}/`)("miniflare"); // reads NODE_EXTRA_CA_CERTS when it is loaded
const miniflare = new Miniflare({
  modules: [{ type: "ESModule", path: "worker.mjs", contents: readFileSync(bundle, "utf8") }],
  compatibilityDate: "2026-07-01",
});
try {
  const response = await miniflare.dispatchFetch("http://worker.test/", { method: "POST", body: order });
  console.log(await response.text());
} finally {
  await miniflare.dispose();
}
