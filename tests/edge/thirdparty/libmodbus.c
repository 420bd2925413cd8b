/* A meter by libmodbus: ./meter tcp PORT < words, or ./meter rtu PATH < words ("address word"). */
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int count, char **words) {
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    unsigned address, word;
    int rtu = count > 2 && strcmp(words[1], "rtu") == 0, listening, got;
    modbus_mapping_t *map = modbus_mapping_new(512, 512, 2048, 2048);
    modbus_t *bus = rtu ? modbus_new_rtu(words[2], 115200, 'N', 8, 1)
                        : modbus_new_tcp("127.0.0.1", atoi(words[2]));
    while (scanf("%u %u", &address, &word) == 2)
        map->tab_registers[address] = map->tab_input_registers[address] = word;
    map->tab_bits[7] = map->tab_input_bits[23] = 1;
    modbus_set_slave(bus, 1);
    if (rtu) {
        if (modbus_connect(bus) != 0) return 1;
    } else if ((listening = modbus_tcp_listen(bus, 1)) == -1) {
        return 1;
    }
    puts("ready");
    fflush(stdout);
    if (!rtu && modbus_tcp_accept(bus, &listening) == -1) return 1;
    while ((got = modbus_receive(bus, query)) >= 0)
        if (got > 0) modbus_reply(bus, query, got, map);
    return 0;
}
