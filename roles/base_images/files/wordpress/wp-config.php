<?php
// Everything comes from the environment: nothing secret is in the image. A variable NAME may be given as NAME_FILE.
function lab_setting(string $name, string $default = ''): string
{
    $value = getenv($name);
    if ($value !== false && $value !== '') {
        return $value;
    }
    $file = getenv($name . '_FILE');
    return $file && is_readable($file) ? rtrim(file_get_contents($file), "\r\n") : $default;
}

define('DB_HOST', lab_setting('WORDPRESS_DB_HOST', 'mysql'));
define('DB_USER', lab_setting('WORDPRESS_DB_USER', 'wordpress'));
define('DB_PASSWORD', lab_setting('WORDPRESS_DB_PASSWORD'));
define('DB_NAME', lab_setting('WORDPRESS_DB_NAME', 'wordpress'));
define('DB_CHARSET', 'utf8mb4');
define('DB_COLLATE', '');
$table_prefix = lab_setting('WORDPRESS_TABLE_PREFIX', 'wp_');

// Without salts here WordPress makes them itself, at random, and keeps them in its database.
define('WP_DEBUG', lab_setting('WORDPRESS_DEBUG') !== '');
define('WP_DEFAULT_THEME', 'twentytwentyfive');
define('AUTOMATIC_UPDATER_DISABLED', true);     // the image is the version
define('DISABLE_WP_CRON', true);                // it would call itself at the published port, which is not in here
if (!defined('WP_HTTP_BLOCK_EXTERNAL')) {
    // Without a way out every visit to the dashboard would wait for wordpress.org.
    define('WP_HTTP_BLOCK_EXTERNAL', lab_setting('WORDPRESS_ALLOW_EXTERNAL') === '');
}

if (!defined('WP_SITEURL') && !empty($_SERVER['HTTP_HOST'])) {
    // The blog is wherever the visitor found it: a moved port or a tunnel changes nothing.
    define('WP_HOME', 'http://' . $_SERVER['HTTP_HOST']);
    define('WP_SITEURL', WP_HOME);
}

if (!defined('ABSPATH')) {
    define('ABSPATH', __DIR__ . '/');
}
require_once ABSPATH . 'wp-settings.php';
