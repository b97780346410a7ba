// One process of Graphile Worker with empty jobs: says that it is ready, waits for a line on standard input, works until
// no job is left, and says how many it did.
//
// usage: node worker.cjs CONCURRENCY LOCAL-QUEUE-SIZE     (0: no local queue, every job completed by itself)

const { once } = require("node:events");
const { Logger, runMigrations, runOnce } = require("graphile-worker");

const [concurrentJobs, localQueueSize] = process.argv.slice(2).map(Number);
const logger = new Logger(() => (level, message) => {
  if (level === "error") console.error(message);
});
// What its documentation names for its fastest run, beside the defaults of everything else.
const batching = { localQueue: { size: localQueueSize }, completeJobBatchDelay: 0, failJobBatchDelay: 0 };
const preset = {
  worker: {
    connectionString: process.env.DATABASE_URL,
    concurrentJobs,
    maxPoolSize: concurrentJobs + 1,
    logger,
    ...(localQueueSize > 0 ? batching : {}),
  },
};

async function main() {
  let jobs = 0;
  const taskList = {
    nothing: async () => {
      jobs += 1;
    },
  };
  await runMigrations({ preset });
  console.log("ready");
  await once(process.stdin, "data");
  await runOnce({ preset, taskList, noHandleSignals: true });
  console.log(JSON.stringify({ jobs }));
  process.exit(0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
