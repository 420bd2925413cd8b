// A meter by npm modbus-serial: node modbus_serial.js PORT '{"10":18,...}'
const { ServerTCP } = require("modbus-serial");
const words = JSON.parse(process.argv[3]);
const shown = (address) => words[address] || 0;
const server = new ServerTCP(
  {
    getHoldingRegister: shown,
    getInputRegister: shown,
    getCoil: (address) => address === 7,
    getDiscreteInput: (address) => address === 23,
  },
  { host: "127.0.0.1", port: Number(process.argv[2]), unitID: 1 },
);
server.on("initialized", () => console.log("ready"));
