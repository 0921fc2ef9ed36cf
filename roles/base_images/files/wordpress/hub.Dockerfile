# The official image, and wp-lab, which installs and posts without a browser.
ARG BASE
FROM ${BASE}
COPY wp-lab wp-lab.php /usr/local/bin/
COPY address.php /usr/local/share/wp-lab/address.php
RUN echo auto_prepend_file=/usr/local/share/wp-lab/address.php >/usr/local/etc/php/conf.d/wp-lab.ini
