import { certificates } from "../sockets/conformance.ts";
import { testConformanceIn } from "../sockets/conformance/all.ts";
import { after, test } from "../support/harness.ts";
import { workersAdapter } from "./conformance_adapter.ts";
import { runRemoteTest } from "./peer_host.ts";
import { folder, Workerd } from "./workerd.ts";

if (folder === undefined) {
  test("connect() on workerd", { skip: "deno task test:workers runs it in workerd" }, () => {});
} else {
  const all = await certificates();
  const workerd = await Workerd.start(all.authority.cert, "conformance_worker.ts");
  after(() => workerd[Symbol.asyncDispose]());

  // The suite is declared on both sides; here each test is but its name.
  const nowhere = () => Promise.reject(new Error("The test runs in workerd"));
  testConformanceIn({
    test: (name) => test(name, () => runRemoteTest(workerd.url, name, all)),
    certificates: nowhere,
    listen: nowhere,
    listenUnix: nowhere,
  }, workersAdapter);
}
