/* Prints the number of a TCP port of loopback that nobody listens on: for programs that cannot ask the kernel themselves. Somebody may be quicker. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

int main(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) || getsockname(fd, (struct sockaddr *)&address, &length)) {
        perror("free_port");
        return 1;
    }
    printf("%u\n", ntohs(address.sin_port));
    return 0;
}
