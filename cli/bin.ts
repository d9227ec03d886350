#!/usr/bin/env node
// The binary: a few lines that start fast and load the rest late.
import { main } from "./main.ts";
import { processOutput } from "./output.ts";

process.exitCode = await main(process.argv.slice(2), processOutput());
